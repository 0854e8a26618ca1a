const depth = (left) => (left === 0 ? 0 : depth(left - 1) + 1);
console.log(depth(8000));
