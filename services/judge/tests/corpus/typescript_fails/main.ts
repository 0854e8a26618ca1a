const none: any = undefined;
console.log(none.length);
