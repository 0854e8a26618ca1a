program Wrong;
begin
  writeln(nothing);
end.
