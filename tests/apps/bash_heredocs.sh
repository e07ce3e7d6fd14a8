# needs: bash
exec 2>&1
name=world
cat <<END
hello $name $((2 + 3))
END
cat <<'END'
hello $name
END
cat <<-END
	tabs gone
	END
cat <<< "here string $name"
big=$(seq 1 20000); wc -l <<< "$big"
while read -r a b; do echo "$b $a"; done <<END
1 one
2 two
END
python3 - <<END
print("nested $name")
END
