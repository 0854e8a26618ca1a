program Fails;
var zero: integer;
begin
  zero := paramcount;
  writeln(1 div zero);
end.
