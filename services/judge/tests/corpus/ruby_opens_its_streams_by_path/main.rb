puts "first"
$stdout.flush
File.write("/dev/stdout", File.read("/dev/stdin"))
File.open("/dev/stdout", "a") { |output| output.write("last\n") }
File.write("/dev/stderr", "error\n")
