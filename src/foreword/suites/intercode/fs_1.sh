cd /testbed
mkdir -p dir1/subdir1/subsubdir1 dir1/subdir2 dir2/subdir1 dir2/subdir2/subsubdir1 dir2/dir1
mkdir -p dir3/subdir1/subsubdir1/tmp dir3/subdir1/subsubdir1/FooBar dir3/subdir2

printf 'Hello from the first file\nbanana bread\n' | write dir1/textfile1.txt
printf 'apple\nbanana\ncherry\nHello\n' | write dir2/subdir1/textfile2.txt
printf 'apple\nbanana\nplum\n' | write dir3/subdir1/subsubdir1/textfile3.txt
printf 'Gene chromosome start\nabc1 3 500\nxyz9 7 120\n' | write dir1/subdir1/textfile4.txt
printf 'Gene function\nabc1 repair\nxyz9 transport\n' | write dir2/subdir2/textfile5.txt
printf 'one two three four five six seven\n' | write dir3/textfile6.txt
printf 'A line that begins with sixteen characters\nand another one\n' | write textfile7.txt
printf 'a file below FooBar\n' | write dir3/subdir1/subsubdir1/FooBar/file.txt
printf 'a file beside FooBar\n' | write dir3/subdir1/subsubdir1/file.txt
printf 'report\n' | write dir1/FooBar_report.md
printf '<html><body>foo and FooBar</body></html>\n' | write FooBar.html
printf '<html><body>foo</body></html>\n' | write dir2/page.html
printf '<html><body>nothing</body></html>\n' | write dir1/empty.html

printf '#!/usr/bin/env python3\nprint("one")\n' | write dir1/subdir1/pythonscript4.py
printf '#!/usr/bin/env python3\nprint("two")\n' | write dir1/subdir1/subsubdir1/pythonscript1.py
printf '#!/usr/bin/env python3\nimport sys\n' | write dir2/subdir2/pythonscript2.py
printf '#!/bin/sh\necho shell\n' | write dir2/shellscript2.sh
printf 'class Hello { String say = "Hello"; }\n' | write Hello.java
printf 'class Hello { String say = "Hello"; }\n' | write Hello1.java
printf 'class Other {\n}\n' | write Other.java
printf 'class Deep {\n  // Hello\n}\n' | write dir2/subdir1/Deep.java
printf '<?php\necho "Hello, world";\n\n?>\n' | write hello.php
printf '<?php\n\nphpinfo();\n// World\n?>\n' | write dir1/info.php
printf '<?php\n?>\n' | write dir2/subdir2/short.php
printf 'var one = 1;\nvar two = 2;\n' | write dir1/page.js
printf 'int main(void)\n{\n\treturn 0;\n}\n' | write hello.c
printf 'int add(int a, int b);\n' | write dir3/subdir2/add.c
printf 'job 1 OK\njob 2 FAIL\n' | write dir1/job.history
printf 'job 3 OK\n' | write dir2/job.history
printf 'a\nb\n' | write foo01
printf 'c\n' | write dir3/foo-x
printf 'duplicate name\n' | write dir1/Readme.md
printf 'the same name\n' | write dir2/README.md
printf 'first\nsecond\nthird\n' | gzip -n > dir3/lines.gz
: > dir1/subdir2/nothing
seq 400 > dir3/subdir2/numbers.csv
chmod 644 hello.php dir1/info.php dir2/subdir2/short.php
printf 'old\n' | write dir3/subdir1/subsubdir1/tmp/old.tmp
printf 'new\n' | write dir3/subdir1/subsubdir1/tmp/new.tmp
printf 'kept\n' | write dir1/sticky.sh
printf 'loopback 127.0.0.0\nlink-local 169.254.0.0\nloopback 127.0.0.0\n' | write /etc/networks
printf 'boot\n' | write /var/log/boot.log
printf 'sent\n' | write /var/log/mail.log

# The folder one works in: tasks say "the current directory", and name testbed without a slash.
printf '<?php\necho 1;\n?>\n' | write "$HOME/site/index.php"
printf 'Hello, current directory\n' | write "$HOME/site/greeting.txt"
ln -s /testbed "$HOME/testbed"

settle /testbed /var/log "$HOME"
chmod 1553 dir1/sticky.sh
chmod 0553 dir1/subdir2
aged 12 dir1/textfile1.txt dir3/textfile6.txt dir3/subdir2/numbers.csv /var/log/boot.log
aged 5 dir3/subdir1/subsubdir1/tmp/old.tmp
aged 0 /var/log/mail.log dir3/subdir1/subsubdir1/tmp/new.tmp
