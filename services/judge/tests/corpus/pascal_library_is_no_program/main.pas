library foo;

function one: longint; cdecl;
begin
  one := 1;
end;

exports
  one;

begin
end.
