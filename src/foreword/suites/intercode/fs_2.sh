cd /system
mkdir -p folder1 folder2/.cache folder3/temp/temp1/temp folder3/temp/none folder3/backup_dbg/backup temp

printf 'Hello world\nfoo\n' | write text1.txt
printf 'The first line is about foo.\nfood is not\n' | write text3.txt
printf 'hello again\n' | write folder1/text2.txt
printf 'HELLO\nfoo\n' | write folder1/text3.txt
printf 'a note\n' | write folder1/keep.txt
printf 'plain\n' | write folder1/text2
printf 'plain\n' | write folder1/text4
printf 'a report\n' | write folder1/special_report.md
printf 'old notes\n' | write folder1/old.txt
printf 'one letter\n' | write folder1/letter.doc
printf 'another letter\n' | write folder1/letters/second.doc
printf 'started\nstopped\n' | write folder1/run.log
printf '#!/bin/sh\necho script\n' | write folder1/script.sh
printf '#!/bin/sh\necho new\n' | write folder1/new_job.sh
printf '1,2,3,4,5,6,7,8\na,b,c,d,e,f\n' | write folder1/data.csv
printf 'a special file\n' | write folder2/special.txt
printf 'another\n' | write folder2/.cache/hidden.txt
printf 'line one\r\nline two\r\nline three\r\n' | write folder3/temp/temp1/text1.txt
printf 'CREATE TABLE old (id int);\n' | write folder3/backup_dbg/old.sql
printf 'CREATE TABLE new (id int);\n' | write folder3/backup_dbg/new.sql
printf 'log of a program\n' | write folder3/backup_dbg/trace_dbg.log
printf 'ten bytes\n' | write ten
printf 'object\n' | write a.out
printf 'object\n' | write folder1/part.o
printf 'dump\n' | write core
printf 'a file by this name\n' | write folder1/temp
: > folder3/temp/empty.txt
: > folder3/temp/.DS_Store
: > folder3/temp/._resource
: > folder3/temp/temp1/.apdisk
seq 1000 > numbers.dat
tar --sort=name --owner=0 --group=0 --mtime="$(day 2)" -cf - folder2 | gzip -n > folder2.tar.gz

settle /system "$HOME"
aged 40 a.out folder3/backup_dbg/old.sql folder1/old.txt numbers.dat
aged 70 folder1/letter.doc
aged 1 folder1/run.log
