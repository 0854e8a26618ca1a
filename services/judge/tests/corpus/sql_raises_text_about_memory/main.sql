create table t (x);
create trigger refuse before insert on t begin select raise(abort, 'out of memory'); end;
insert into t values (1);
