<?php
echo array_sum(array_map("intval", file("php://stdin"))), "\n";
