print "a";
my $x = ;
