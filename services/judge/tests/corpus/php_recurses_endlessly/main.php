<?php
function deeper($depth) { return deeper($depth + 1) + $depth; }
deeper(0);
