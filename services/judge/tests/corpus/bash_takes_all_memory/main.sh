text=xxxxxxxxxxxxxxxx
while true; do
    text=$text$text
done
