{$mode objfpc}{$H+}
uses
  Classes, Contnrs, FGL, Generics.Collections, Math, StrUtils, SysUtils;

type
  TNumbers = specialize TFPGList<Integer>;
  TAges = specialize TDictionary<string, Integer>;

var
  numbers: TNumbers;
  ages: TAges;
begin
  numbers := TNumbers.Create;
  numbers.Add(40);
  numbers.Add(2);
  ages := TAges.Create;
  ages.Add('a', Max(numbers[0], numbers[1]));
  WriteLn(ages['a'] + numbers[1], ' ', ReverseString('abc'), ' ', Format('%.2f', [Power(2, 0.5)]));
end.
