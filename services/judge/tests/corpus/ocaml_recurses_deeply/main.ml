let rec depth left = if left = 0 then 0 else 1 + depth (left - 1)

let () = Printf.printf "%d\n" (depth 6_000_000)
