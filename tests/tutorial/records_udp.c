/* Sends fixed-size records over UDP: 128 bytes, padded with NUL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netdb.h>
#include <sys/types.h>
#include <sys/socket.h>

#define MAXBUFLEN 128

int main(int argc, char *argv[])
{
    struct addrinfo hints, *servinfo, *p;
    char buf[MAXBUFLEN];
    int sockfd = -1, rv, i;
    ssize_t numbytes;

    if (argc < 4) {
        fprintf(stderr, "usage: records_udp hostname port message...\n");
        return 1;
    }

    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_DGRAM;
    if ((rv = getaddrinfo(argv[1], argv[2], &hints, &servinfo)) != 0) {
        fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(rv));
        return 1;
    }
    for (p = servinfo; p != NULL; p = p->ai_next) {
        if ((sockfd = socket(p->ai_family, p->ai_socktype, p->ai_protocol)) != -1)
            break;
    }
    if (p == NULL) {
        fprintf(stderr, "failed to create socket\n");
        return 2;
    }

    for (i = 3; i < argc; i++) {
        memset(buf, 0, sizeof buf);
        strncpy(buf, argv[i], sizeof buf - 1);
        if (sendto(sockfd, buf, sizeof buf, 0, p->ai_addr, p->ai_addrlen) == -1) {
            perror("sendto");
            exit(1);
        }
        memset(buf, 'x', sizeof buf);
        if ((numbytes = recvfrom(sockfd, buf, sizeof buf, 0, NULL, NULL)) == -1) {
            perror("recvfrom");
            exit(1);
        }
        /* The reply is a string only if its NUL came with it. */
        printf("%s (%d bytes)\n", memchr(buf, 0, numbytes) ? buf : "no NUL", (int)numbytes);
    }

    freeaddrinfo(servinfo);
    close(sockfd);
    return 0;
}
