cd /workspace
mkdir -p dir1 dir2/mysql test/1dir test/2dir backup_of_nothing "$HOME/newlinks"

printf 'int main(void)\n{\n\treturn 0;\n}\n' | write dir1/sum.c
seq 500 | sed 's,.*,// line &,' | write dir1/large.c
printf '#!/bin/sh\necho one\n' | write dir1/script1.sh
printf '#!/bin/sh\necho two\n' | write new.sh
printf 'hello!\n' | write dir1/hello.txt
printf 'hello!\n' | write dir2/hello.txt
printf 'Another Hello\n' | write dir2/foo.txt
printf 'foo\n' | write dir1/foo
printf 'older foo\n' | write dir2/foo
printf 'The first line\nThe second line\nThe third line\nThe fourth line\n' | write dir1/long.txt
printf 'The first line\nThe second line\nThe last line\n' | write dir1/terminate.txt
printf 'first\n\n   \nsecond\nthird\n\n' | write dir1/a.txt
printf '/usr/share/doc/readme\nplain\n/var/log/boot.log\n' | write dir1/file.txt
printf 'SELECT 1;\n' | write dir2/mysql/query.sql
printf 'a,b\n1,2\n' | write dir2/table.csv
printf 'x\n' | write dir2/Long.txt
printf '/workspace/dir1/hello.txt\n/workspace/dir2/foo.txt\n' | write results.txt
printf '/workspace/dir1/hello.txt\n/workspace/dir2/foo.txt\n/workspace/drafts/new.txt\n' | write files.txt
printf 'hidden\n' | write .hidden.txt
printf 'hidden, too\n' | write dir1/.hidden1.txt
: > dir1/empty.txt
: > dir1/all.txt
: > dir1/readonly.txt
printf 'packed\n' | gzip -n > dir2/packed.gz
mkdir -p /backup
tar --sort=name --owner=0 --group=0 --mtime="$(day 2)" -cf - dir2/foo.txt new.sh \
    | gzip -n > archive.tar.gz
printf 'here\n' | write "$HOME/here.txt"

chmod 755 dir1/script1.sh new.sh
chmod 777 dir1/all.txt
chmod 400 dir1/readonly.txt
settle /workspace /backup "$HOME"
aged 45 dir2/foo dir2/table.csv
aged 90 dir2/mysql/query.sql
aged 1 new.sh
