/* Sends fixed-size records over TCP: 128 bytes, padded with NUL. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX 128

int main(int argc, char *argv[])
{
    int sockfd;
    struct sockaddr_in servaddr;
    char buff[MAX];

    if (argc != 3) {
        fprintf(stderr, "usage: records_tcp address port < lines\n");
        return 1;
    }
    sockfd = socket(AF_INET, SOCK_STREAM, 0);
    if (sockfd == -1) {
        perror("socket creation failed");
        exit(1);
    }
    bzero(&servaddr, sizeof(servaddr));
    servaddr.sin_family = AF_INET;
    servaddr.sin_addr.s_addr = inet_addr(argv[1]);
    servaddr.sin_port = htons(atoi(argv[2]));
    if (connect(sockfd, (struct sockaddr *)&servaddr, sizeof(servaddr)) != 0) {
        perror("connection with the server failed");
        exit(1);
    }

    for (;;) {
        bzero(buff, sizeof(buff));
        /* fgets leaves the line feed in the record. */
        if (fgets(buff, sizeof(buff), stdin) == NULL)
            break;
#ifdef WITHOUT_LINE_FEED
        buff[strcspn(buff, "\n")] = 0;
#endif
        write(sockfd, buff, sizeof(buff));
        bzero(buff, sizeof(buff));
        if (read(sockfd, buff, sizeof(buff)) <= 0) {
            fprintf(stderr, "no answer\n");
            return 1;
        }
        buff[strcspn(buff, "\n")] = 0;
        printf("From Server : %s\n", buff);
        fflush(stdout);
    }
    close(sockfd);
    return 0;
}
