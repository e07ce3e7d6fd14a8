# needs: perl
exec 2>&1
perl -e 'my %h = map { $_ => $_ ** 2 } 1..5; print "$_ $h{$_}\n" for sort keys %h;'
perl -MFile::Temp=tempfile -MPOSIX -MData::Dumper -MList::Util=sum -MTime::HiRes=sleep -e '
  my ($fh, $n) = tempfile(DIR => "."); print $fh "x\n" x 10; close $fh; print -s $n, "\n"; unlink $n;
  my $pid = fork; if (!$pid) { POSIX::_exit(7) } waitpid $pid, 0; print $? >> 8, "\n";
  $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; sleep 1.5; open my $p, "-|", "seq 3" or die; print while <$p>; close $p;
  print sum(1..10), "\n"; local $Data::Dumper::Sortkeys = 1; print Dumper({a => [1,2], b => undef}); print strftime("%F", gmtime 0), "\n"; pipe my $r, my $w; if (!fork) { close $r; print $w "child"; exit } close $w; print <$r>, "\n"; wait;'
seq 1000 | perl -ne '$s += $_; END { print "$s\n" }'; echo abc > f; perl -pi -e 's/b/B/' f; cat f
perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Local => "p.sock", Listen => 1) or die; if (!fork) { my $c = IO::Socket::UNIX->new(Peer => "p.sock"); print $c "over unix\n"; exit } my $c = $s->accept; print scalar <$c>; wait'
perl -Mthreads -e 'my @t = map { my $n = $_; threads->create(sub { $n * 2 }) } 1..3; print join(",", map { $_->join } @t), "\n"' 2>/dev/null || echo no threads
