my ($all, $end) = (sysread(STDIN, my $first, 64), sysread(STDIN, my $second, 64));
open(my $again, "<", "/dev/stdin") or die "again: $!";
print "$all $end ", sysread($again, my $third, 64), "\n";
