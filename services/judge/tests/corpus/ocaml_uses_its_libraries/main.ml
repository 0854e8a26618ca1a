module Ages = Map.Make (String)

let () =
  let words = Str.split (Str.regexp "[ ,]+") "a, b c" in
  let ages = List.fold_left (fun ages word -> Ages.add word 1 ages) Ages.empty words in
  Printf.printf "%d %b\n" (Ages.cardinal ages) (Unix.gettimeofday () > 0.)
