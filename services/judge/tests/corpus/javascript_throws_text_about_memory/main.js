console.error("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory");
throw new Error("FATAL ERROR: JavaScript heap out of memory");
