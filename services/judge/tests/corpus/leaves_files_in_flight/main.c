#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static char block[1 << 20];

int main(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
    int file = memfd_create("left", 0);
    if (file < 0) file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    if (file < 0) return 2;
    for (int n = 0; n < 40; n++) if (write(file, block, sizeof block) != sizeof block) return 3;
    int sent[2] = {file, pair[1]};
    char byte = 0, control[CMSG_SPACE(sizeof sent)] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof sent);
    memcpy(CMSG_DATA(header), sent, sizeof sent);
    return sendmsg(pair[0], &message, 0) == 1 ? 0 : 4;
}
