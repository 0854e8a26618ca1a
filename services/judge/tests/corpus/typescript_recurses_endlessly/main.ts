const deeper = (depth: number): number => deeper(depth + 1) + depth;
deeper(0);
