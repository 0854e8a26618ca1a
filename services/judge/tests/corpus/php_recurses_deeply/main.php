<?php
function depth($left) { return $left == 0 ? 0 : depth($left - 1) + 1; }
echo depth(1000000), "\n";
