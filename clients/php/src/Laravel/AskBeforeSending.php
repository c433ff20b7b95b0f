<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Laravel;

use Illuminate\Contracts\Config\Repository as Config;
use Illuminate\Contracts\Container\Container;
use Illuminate\Mail\Events\MessageSending;
use PreferenceCenter\Client\Client;
use PreferenceCenter\Client\LinkMinter;
use Symfony\Component\Mime\Address;
use Symfony\Component\Mime\Email;

/**
 * Sends a mail only to those who may get it, and adds the links with which they leave.
 *
 * A mail names its message type in the header X-Message-Type, and the topic of its links, if it
 * is to have any, in X-Unsubscribe-Topic; both are removed. A mail without the first is left as it
 * is: the framework's own, for example. InvalidArgumentException is thrown for one without the first
 * that has unsubscribe links, and for one with links that has several recipients: they are one
 * person's.
 */
final class AskBeforeSending
{
    public const TYPE = 'X-Message-Type';
    public const TOPIC = 'X-Unsubscribe-Topic';

    /** No program folds or encodes a header that may be so long (RFC 5322 2.1.1). */
    private const LINE_LENGTH = 998;

    public function __construct(
        private readonly Client $client,
        private readonly Config $config,
        private readonly Container $container,
    ) {
    }

    /** @return ?bool false keeps the mail from being sent */
    public function handle(MessageSending $event): ?bool
    {
        $mail = $event->message;
        $type = self::takeHeader($mail, self::TYPE);
        $topic = self::takeHeader($mail, self::TOPIC);
        if ($type === null) {
            if ($topic !== null || $mail->getHeaders()->has('List-Unsubscribe')) {
                throw new \InvalidArgumentException(
                    'a mail with unsubscribe links is marketing: name its message type in ' . self::TYPE
                );
            }
            return null;
        }
        if (!$this->keepAllowed($mail, $type)) {
            return false;
        }
        if ($topic !== null && $this->config->get('preference-center.link_key')) {
            $this->addLinks($mail, $topic);
        }
        return null;
    }

    /** Whether anybody is left. */
    private function keepAllowed(Email $mail, string $type): bool
    {
        $groups = ['to' => $mail->getTo(), 'cc' => $mail->getCc(), 'bcc' => $mail->getBcc()];
        $addresses = array_map(
            static fn (Address $each): string => $each->getAddress(),
            array_merge(...array_values($groups)),
        );
        $decisions = $this->client->decideAll($type, $addresses);
        $anybody = false;
        foreach ($groups as $name => $group) {
            $answers = array_splice($decisions, 0, count($group));
            $allowed = array_filter($group, static fn (int $at): bool => $answers[$at]->allow, ARRAY_FILTER_USE_KEY);
            if (count($allowed) < count($group)) {
                $mail->getHeaders()->remove($name);
                if ($allowed) {
                    $mail->$name(...$allowed);
                }
            }
            $anybody = $anybody || $allowed;
        }
        return $anybody;
    }

    private function addLinks(Email $mail, string $topic): void
    {
        $recipients = [...$mail->getTo(), ...$mail->getCc(), ...$mail->getBcc()];
        if (count($recipients) !== 1) {
            throw new \InvalidArgumentException('a mail with unsubscribe links has one recipient');
        }
        $minter = $this->container->make(LinkMinter::class);
        $links = $minter->mint($recipients[0]->getAddress(), $topic, self::newMessageId());
        $headers = $mail->getHeaders();
        foreach ($links->headers as $name => $value) {
            $headers->remove($name);
            $headers->addTextHeader($name, $value);
            $headers->get($name)?->setMaxLineLength(self::LINE_LENGTH);
        }
    }

    private static function takeHeader(Email $mail, string $name): ?string
    {
        $header = $mail->getHeaders()->get($name);
        $mail->getHeaders()->remove($name);
        return $header?->getBodyAsString();
    }

    /** A UUID, which keeps links short. */
    private static function newMessageId(): string
    {
        $bytes = random_bytes(16);
        $bytes[6] = $bytes[6] & "\x0f" | "\x40";
        $bytes[8] = $bytes[8] & "\x3f" | "\x80";
        return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($bytes), 4));
    }
}
