let rec deeper depth = depth + deeper (depth + 1)

let () = print_int (deeper 0)
