const text = "0123456789abcde\n".repeat(524288);
console.log(text.slice(0, -1));
throw new Error("after the write");
