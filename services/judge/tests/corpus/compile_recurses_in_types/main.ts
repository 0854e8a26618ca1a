type Deep<T> = T extends string ? Deep<[T]> | Deep<[Deep<T>]> : Deep<`${string}${number}`>;

const deep: Deep<"a"> = 1;
console.log(deep);
