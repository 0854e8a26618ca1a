my @rows;
push @rows, "x" x (1 << 20) . @rows while 1;
