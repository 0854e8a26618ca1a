<?php
$all = stream_get_contents(STDIN);
$end = stream_get_contents(STDIN);
echo strlen($all), " ", strlen($end), " ", strlen(file_get_contents("php://stdin")), "\n";
