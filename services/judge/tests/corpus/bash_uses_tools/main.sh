seq 3 | awk '{ sum += $1 } END { print sum }'
echo "scale=3; 1 / 8" | bc
printf 'b a\nc\n' | tr ' ' '\n' | sort | uniq | paste -sd, | sed 's/,/-/g'
echo "x=42" | grep -oE '[0-9]+' | xargs -n1 expr 1 +
date -u -d @0 +%F
