let () =
  let a = int_of_string (input_line stdin) in
  let b = int_of_string (input_line stdin) in
  Printf.printf "%d\n" (a + b)
