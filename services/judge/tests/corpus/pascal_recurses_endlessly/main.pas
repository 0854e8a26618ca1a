program endless;

function deeper(depth: int64): int64;
begin
  deeper := deeper(depth + 1) + depth;
end;

begin
  writeln(deeper(0));
end.
