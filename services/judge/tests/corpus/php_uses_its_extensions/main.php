<?php
echo mb_strtoupper("grün"), " ", mb_strlen("grün"), "\n";
echo bcadd("12345678901234567890", "1"), "\n";
echo gmp_strval(gmp_pow(2, 100)), "\n";
echo (new NumberFormatter("de", NumberFormatter::DECIMAL))->format(1234.5), "\n";
echo json_encode(["a" => 1]), " ", ctype_digit("12") ? "digits" : "", "\n";
