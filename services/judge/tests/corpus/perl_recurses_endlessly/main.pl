sub deeper { my ($depth) = @_; return deeper($depth + 1) + $depth }
deeper(0);
