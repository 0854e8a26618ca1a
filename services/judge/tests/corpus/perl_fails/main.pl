exit 9 if @ARGV;
die "no\n";
