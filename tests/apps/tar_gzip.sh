# needs: tar gzip xz bzip2 zip unzip
exec 2>&1
mkdir -p src/sub; seq 5000 > src/numbers; head -c 100000 /dev/zero > src/zero; ln -s numbers src/link; ln src/numbers src/hard; chmod 751 src/sub; echo x > src/sub/y; touch -d @1000000000 src/sub/y
tar cf a.tar --sort=name --mtime=@0 --owner=0 --group=0 src; sha256sum a.tar; tar tvf a.tar --numeric-owner | awk '{print $1, $2, $3, $6}'
mkdir o1 o2 o3; tar xf a.tar -C o1; diff -r src o1/src && echo same; stat -c '%a %h' o1/src/sub o1/src/hard; readlink o1/src/link
tar czf a.tgz src; tar xzf a.tgz -C o2; diff -r src o2/src && echo same gz; tar cJf a.txz src; tar xJf a.txz -C o3; diff -r src o3/src && echo same xz
gzip -k -n src/numbers; gunzip -c src/numbers.gz | cmp - src/numbers && echo gz; sha256sum < src/numbers.gz; xz -k src/numbers; xz -dc src/numbers.xz | md5sum; bzip2 -k src/numbers; bunzip2 -c src/numbers.bz2 | md5sum; zcat src/numbers.gz | tail -1
zip -qr a.zip src; unzip -l a.zip | tail -1 | awk '{print $2, $3}'; mkdir z; unzip -q a.zip -d z; diff -r src z/src && echo same zip
tar cf - src | (cd o1 && rm -rf src && tar xf -); ls o1/src | sort; stat -c %Y o1/src/sub/y
