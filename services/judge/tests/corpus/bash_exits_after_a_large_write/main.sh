printf -v text '0123456789abcde\n%.0s' {1..4096}
text=$text$text$text$text$text$text$text$text
text=$text$text$text$text$text$text$text$text
printf %s "$text$text"
kill -KILL $$
