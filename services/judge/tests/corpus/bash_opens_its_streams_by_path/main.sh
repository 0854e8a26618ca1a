set -e
echo first > /dev/stdout
cat /dev/stdin >> /dev/stdout
echo last 2> /dev/null >> /dev/fd/1
echo error > /dev/stderr
