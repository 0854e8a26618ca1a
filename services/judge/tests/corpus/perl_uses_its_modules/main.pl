use strict;
use warnings;
use List::Util qw(max reduce sum);
use Math::BigInt;
use POSIX qw(floor);
use Memoize;

sub fibonacci { my $n = shift; $n < 2 ? $n : fibonacci($n - 1) + fibonacci($n - 2) }
memoize("fibonacci");
print sum(1 .. 4), " ", max(3, 9, 2), " ", floor(2.7), " ", fibonacci(50), "\n";
print Math::BigInt->new(2)->bpow(100), " ", reduce { $a * $b } 1 .. 5;
