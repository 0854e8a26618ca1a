select 1;
selct 2;
