module task {
}
