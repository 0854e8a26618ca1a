puts [$stdin.read.size, $stdin.read.size, File.read("/dev/stdin").size].join(" ")
