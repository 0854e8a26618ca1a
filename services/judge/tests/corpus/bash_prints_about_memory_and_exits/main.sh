echo "sort: Cannot allocate memory" >&2
exit 3
