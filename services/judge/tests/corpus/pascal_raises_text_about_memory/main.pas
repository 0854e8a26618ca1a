{$mode objfpc}
uses SysUtils;
begin
  raise Exception.Create('EOutOfMemory: Out of memory');
end.
