program depths;

function depth(left: longint): longint;
var
  frame: array[0..95] of byte;
begin
  frame[left mod 96] := 1;
  if left = 0 then depth := 0 else depth := depth(left - 1) + frame[left mod 96];
end;

begin
  writeln(depth(1000000));
end.
