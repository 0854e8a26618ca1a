{$mode objfpc}{$H+}
program exits;

uses strutils;

begin
  write(dupestring('0123456789abcde' + #10, 524288));
  flush(output);
  halt(0);
end.
