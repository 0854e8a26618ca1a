echo $(cat | wc -c) $(cat | wc -c) $(cat /dev/stdin | wc -c)
