program Sum;
var a, b: integer;
begin
  readln(a);
  readln(b);
  writeln(a + b);
end.
