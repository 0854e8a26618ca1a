no warnings "recursion";
sub depth { my ($left) = @_; return $left == 0 ? 0 : depth($left - 1) + 1 }
print depth(100_000), "\n";
