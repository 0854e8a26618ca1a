template <int n> struct Deep {
    typename Deep<n + 1>::type type;
};

Deep<0> deep;

int main() {
}
