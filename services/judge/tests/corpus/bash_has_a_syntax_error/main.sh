echo a
if true; then
